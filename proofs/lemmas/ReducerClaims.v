(** The claims of claims/Reducer.v, put together. *)

From Coq Require Import ZArith Reals List Bool Lia Lra Permutation.
From Flocq Require Import Core.Core IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Trim Ties.
From MergeAlgebra.Lemmas Require Import RoundingLaws ReducerLists ReducerCoordinate ReducerWhole ReducerTaus
  ReducerOrder.
From MergeAlgebra.Lemmas Require TiesSums.
Import ListNotations.
Open Scope Z_scope.

(** * Bits and rounding *)

Lemma bits_come_back d :
  (forall bits, are_bits d bits -> to_bits d (of_bits d bits) = bits)
  /\ (forall x : number d, are_bits d (to_bits d x) /\ of_bits d (to_bits d x) = x).
Proof.
  split; [apply to_bits_of_bits|]. intros x. split; [apply to_bits_range|apply of_bits_to_bits].
Qed.

Lemma bits_are_value_and_sign d (x y : number d) :
  finite x = true -> finite y = true -> value x = value y -> sign x = sign y -> to_bits d x = to_bits d y.
Proof. intros. f_equal. now apply same_number. Qed.

Lemma fp32_is_on_the_grid (x : number F32) :
  (finite x = true <-> exists n, numerator x = Some n)
  /\ (forall n, numerator x = Some n -> value x = (IZR n * bpow radix2 (-149))%R).
Proof.
  split; [split; [apply numerator_some|intros [n found]; now apply numerator_value in found]|].
  intros n found. now apply numerator_value in found as [_ ->].
Qed.

Lemma rounding_is_RN d (x : dyadic) :
  (finite (round_to d x) = true <-> (Rabs (RN d (F2R x)) < bpow radix2 (most_exponent d))%R)
  /\ (finite (round_to d x) = true ->
      value (round_to d x) = RN d (F2R x) /\ sign (round_to d x) = Rlt_bool (F2R x) 0).
Proof. split; [apply round_to_finite|apply round_to_value]. Qed.

Lemma elements_stand_where_the_base_has_them {A} (absent : A) read b c k t h :
  nth_error b k = Some t -> nth_error (held c) k = Some h ->
  nth_error (read_all absent read b c) k = Some (read_tensor absent read (kind c) t h)
  /\ forall i x, nth_error (snd t) i = Some x ->
     nth_error (read_tensor absent read (kind c) t None) i = Some absent
     /\ forall u y, nth_error (snd u) i = Some y ->
        nth_error (read_tensor absent read (kind c) t (Some u)) i = Some (read (kind c) (fst t) x (fst u) y).
Proof. intros at_b at_h. split; [now apply tensors_nth|]. intros i x. apply element_nth. Qed.

Lemma unchanged_is_zero d x e y :
  (d = e /\ x = y) \/ (finite (of_bits d x) = false /\ finite (of_bits e y) = false
    /\ is_nan _ _ (of_bits d x) = false /\ is_nan _ _ (of_bits e y) = false
    /\ sign (of_bits d x) = sign (of_bits e y)) ->
  difference d x e y = Tau 0.
Proof. intros same%unchanged_iff. unfold difference. now rewrite same. Qed.

Lemma theta_is_the_rounded_model d x e y :
  theta Finetuned d x e y = stored e y
  /\ forall n, theta TaskVector d x e y = Tau n -> exists m, stored e y = Tau m /\ finite (of_bits d x) = true
     /\ real n = RN F32 (RN F64 (value (of_bits d x) + real m)).
Proof. split; [reflexivity|]. intros n. apply theta_value. Qed.

(** * Coordinates *)

Lemma coefficient_value r l c : ready r l -> In c (contributions r) ->
  real (coefficient_of c) = value (of_bits F32 (coefficient_bits c)).
Proof.
  intros (_ & _ & _ & usables) member. rewrite Forall_forall in usables.
  pose proof (usable_is _ _ _ (usables c member)) as found. now apply numerator_value in found as [_ ->].
Qed.

Lemma lambda_value r l : ready r l -> value (of_bits F32 (lambda_bits r)) = real l.
Proof. intros (found & _). now apply numerator_value in found as [_ ->]. Qed.

Lemma absent_is_zero r i c : weight_at r i c = coefficient_of c \/ (weight_at r i c = 0 /\ tau_at r i c = 0).
Proof.
  unfold weight_at. destruct (weight_cases (how r) (coefficient_of c) (element_at r i c)) as [->|(some & absent & ->)];
    [now left|right]. split; [reflexivity|].
  unfold tau_at. rewrite untrimmed by (destruct (how r); discriminate).
  set (f := fun e => match e with Tau n => n | _ => 0 end). change 0 with (f Absent). rewrite map_nth.
  fold (element_at r i c). now rewrite absent.
Qed.

Lemma votes_are_rounded_products r tensors kept i c : reduce r = Merged tensors kept ->
  (i < length (coordinates (base r)))%nat -> In c (contributions r) ->
  exists v, scaled (weight_at r i c) (tau_at r i c) = (Some v, weight_at r i c)
    /\ real (coefficient_of c) = value (of_bits F32 (coefficient_bits c))
    /\ real v = RN F32 (real (coefficient_of c) * real (tau_at r i c))
    /\ weight_at r i c = match how r, element_at r i c with
                         | Linear, Absent | NegMerge, Absent => 0
                         | _, _ => coefficient_of c
                         end
    /\ In (v, weight_at r i c) (votes_at r i).
Proof.
  intros merged below member. apply merged_coordinate in merged as (l & checked & all).
  destruct (nth_error (coordinates (base r)) i) as [[d b]|] eqn:at_i; [|apply nth_error_None in at_i; lia].
  destruct (all i d b at_i) as (merged & found & _). apply coordinate_result in found as [somes _].
  assert (here : In (scaled (weight_at r i c) (tau_at r i c)) (column_at r i))
    by (apply in_map_iff; eauto).
  rewrite Forall_forall in somes. pose proof (somes _ here) as some.
  destruct (fst (scaled (weight_at r i c) (tau_at r i c))) as [v|] eqn:found; [|contradiction].
  assert (whole : scaled (weight_at r i c) (tau_at r i c) = (Some v, weight_at r i c))
    by (rewrite <- found; reflexivity).
  exists v. repeat split; [exact whole|now apply (coefficient_value r l)| |].
  - apply scaled_value in found as ->. destruct (absent_is_zero r i c) as [->|[-> ->]]; [reflexivity|].
    now rewrite real_zero, !Rmult_0_r.
  - unfold votes_at. apply in_map_iff. exists (scaled (weight_at r i c) (tau_at r i c)). now rewrite whole in *.
Qed.

Lemma tau_m_of_merged r l i t : ready r l -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  numerator (tau_m (how r) (map vote_of (column_at r i))) = Some t -> tau_m_R (how r) (votes_at r i) = real t.
Proof.
  intros checked few found. symmetry. apply tau_m_value; [|exact found].
  assert (how r = TaskArithmetic \/ how r <> TaskArithmetic) as [is|divides]
    by (destruct (how r); try (now left); now right).
  - now left.
  - right. now apply (votes_weigh r l).
Qed.

Lemma bits_are_the_exact_model_rounded r tensors kept i d b :
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = false -> nth_error (coordinates (base r)) i = Some (d, b) ->
  let out := nth i (concat tensors) 0 in
  let t := tau_m_R (how r) (votes_at r i) in
  let lambda := value (of_bits F32 (lambda_bits r)) in
  let x := (value (of_bits d b) + lambda * t)%R in
  ((t = 0 \/ lambda = 0)%R -> out = b)
  /\ ((t <> 0 /\ lambda <> 0)%R ->
      are_bits d out /\ finite (of_bits d b) = true /\ finite (of_bits d out) = true
      /\ value (of_bits d out) = narrow_R d x /\ sign (of_bits d out) = Rlt_bool x 0).
Proof.
  intros merged few on_tau at_i. apply merged_coordinate in merged as (l & checked & all).
  destruct (all i d b at_i) as (merged & here & ->). unfold finished_at. rewrite on_tau.
  apply coordinate_result in here as [_ (t & found & applied)]. cbn [fst snd] in applied.
  unfold result in applied. rewrite on_tau in applied.
  cbv zeta. rewrite (tau_m_of_merged r l i t checked few found), (lambda_value r l checked).
  split.
  - intros zero. apply (apply_copies _ _ _ _ _ applied). destruct zero as [zero|zero]; apply real_eq_zero in zero; auto.
  - intros [t_some l_some].
    assert (t <> 0) by (intros ->; now rewrite real_zero in t_some).
    assert (l <> 0) by (intros ->; now rewrite real_zero in l_some).
    destruct (apply_moves _ _ _ _ _ applied) as (? & ? & ? & ? & ?); auto.
Qed.

Lemma models_are_the_exact_mean_rounded r tensors kept i d b :
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = true -> nth_error (coordinates (base r)) i = Some (d, b) ->
  let t := tau_m_R (how r) (votes_at r i) in
  exists merged, nth i (concat tensors) 0 = copied (b, merged) (owns_at r i)
    /\ are_bits d merged /\ finite (of_bits d merged) = true
    /\ value (of_bits d merged) = RN d t /\ sign (of_bits d merged) = Rlt_bool t 0.
Proof.
  intros answered few models at_i. apply merged_coordinate in answered as (l & checked & all).
  destruct (all i d b at_i) as (merged & here & out). unfold finished_at in out. rewrite models in out.
  apply coordinate_result in here as [_ (t & found & applied)]. cbn [fst snd] in applied.
  unfold result in applied. rewrite models in applied.
  cbv zeta. rewrite (tau_m_of_merged r l i t checked few found). exists merged. split; [exact out|].
  now apply becomes.
Qed.

Lemma what_models_agree_on_is_copied b merged column :
  ((forall o, In o column -> o = NotHeld) -> copied (b, merged) column = b)
  /\ (forall x, In (Known x) column -> (forall o, In o column -> o = NotHeld \/ o = Known x) ->
      copied (b, merged) column = x)
  /\ (In NotKnown column \/ (exists x y, x <> y /\ In (Known x) column /\ In (Known y) column) ->
      copied (b, merged) column = merged).
Proof.
  unfold copied. cbn [fst snd]. repeat split.
  - intros none. replace (known column) with (@nil Z).
    + cbn [hd]. rewrite (proj2 (forallb_forall _ _)); [reflexivity|]. intros o member. now rewrite (none o member).
    + symmetry. destruct (known column) as [|x rest] eqn:some; [reflexivity|].
      assert (In x (known column)) as member%known_in by (rewrite some; now left). discriminate (none _ member).
  - intros x there same. assert (some : known column <> []).
    { intros none. apply known_in in there. now rewrite none in there. }
    pose proof (head_member b _ some) as here%known_in. destruct (same _ here) as [|[= ->]]; [discriminate|].
    rewrite (proj2 (forallb_forall _ _)); [reflexivity|]. intros o member.
    destruct (same o member) as [->| ->]; [reflexivity|apply Z.eqb_refl].
  - intros differ. destruct (forallb _ column) eqn:all; [|reflexivity]. exfalso.
    destruct differ as [member|(x & y & differ & at_x & at_y)].
    + rewrite forallb_forall in all. discriminate (all _ member).
    + apply differ. apply known_in in at_x, at_y.
      now rewrite (alike_is _ _ _ all at_x), (alike_is _ _ _ all at_y).
Qed.

Lemma sums_come_from_the_aggregate rule num den group votes :
  Ties.finalize (Ties.aggregate_of votes) = exact_sums (TIES rule num den group) votes.
Proof. apply TiesSums.finalize_aggregate_of. Qed.

Lemma nothing_votes_nothing_moves r tensors kept i d b :
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = false -> nth_error (coordinates (base r)) i = Some (d, b) ->
  (forall c, In c (contributions r) -> tau_at r i c = 0) -> nth i (concat tensors) 0 = b.
Proof.
  intros merged few on_tau at_i none.
  apply (proj1 (bits_are_the_exact_model_rounded r tensors kept i d b merged few on_tau at_i)). left.
  apply no_votes_no_tau. apply Forall_forall. unfold votes_at, column_at. rewrite map_map.
  intros x [c [<- member]]%in_map_iff. now rewrite (none c member), scaled_zero.
Qed.

(** * Errors *)

Lemma all_finite column : fault_of_taus column = inl tt -> ~ In NotFinite column.
Proof.
  unfold fault_of_taus. destruct (place_of _ _ _) eqn:none; [discriminate|]. intros _ member.
  apply place_none in none. rewrite forallb_forall in none. discriminate (none _ member).
Qed.

Lemma coordinate_not_tau m l b column place : coordinate m l b column <> inr (InTau place).
Proof.
  unfold coordinate, result, become, apply. destruct (place_of _ _ _); [discriminate|].
  destruct (numerator _); [|discriminate]. destruct (on_theta m); [now destruct (finite _)|].
  destruct (_ || _); [discriminate|]. destruct (exact _); [|discriminate]. now destruct (finite _).
Qed.

Lemma errors_of_task_vectors_come_first r position place :
  reduce r = NotFiniteAt position (InTau place) ->
  exists i j, position = Z.of_nat i /\ place = Z.of_nat j
    /\ nth_error (elements_at r i) j = Some NotFinite
    /\ (forall k e, (k < j)%nat -> nth_error (elements_at r i) k = Some e -> e <> NotFinite)
    /\ forall k, (k < i)%nat -> ~ In NotFinite (elements_at r k).
Proof.
  intros refused. apply named in refused as (l & i & _ & -> & _ & [[here before]|(_ & here & _)]);
    [|now apply coordinate_not_tau in here].
  unfold fault_of_taus in here. destruct (place_of is_not_finite 0 (elements_at r i)) as [q|] eqn:found; [|discriminate].
  injection here as ->. apply place_some in found as (j & e & -> & at_j & is & earlier).
  exists i, j. repeat split.
  - now destruct e.
  - intros k e' less at_k ->. discriminate (earlier k NotFinite less at_k).
  - intros k less. apply all_finite. auto.
Qed.

Lemma finite_column column : place_of overflowed 0 column = None -> forall x, In x column -> fst x <> None.
Proof.
  intros none%place_none x member. rewrite forallb_forall in none. specialize (none x member).
  destruct x as [[v|] c]; [discriminate|discriminate none].
Qed.

Lemma the_first_error_is_named r position what :
  reduce r = NotFiniteAt position what -> (forall place, what <> InTau place) ->
  exists l i, position = Z.of_nat i /\ numerator (of_bits F32 (lambda_bits r)) = Some l
    /\ (forall k, (k < length (coordinates (base r)))%nat -> ~ In NotFinite (elements_at r k))
    /\ (forall k, (k < i)%nat -> exists bits,
          coordinate (how r) l (nth k (coordinates (base r)) (F32, 0)) (column_at r k) = inl bits)
    /\ match what with
       | InTau _ => False
       | InV place => exists j c, place = Z.of_nat j /\ nth_error (column_at r i) j = Some (None, c)
           /\ forall k, (k < j)%nat -> exists v c', nth_error (column_at r i) k = Some (Some v, c')
       | InTauM => (forall x, In x (column_at r i) -> fst x <> None)
           /\ finite (tau_m (how r) (votes_at r i)) = false
       | InResult => (forall x, In x (column_at r i) -> fst x <> None)
           /\ exists t, numerator (tau_m (how r) (votes_at r i)) = Some t
           /\ let (d, b) := nth i (coordinates (base r)) (F32, 0) in result (how r) l t d b = inr InResult
       end.
Proof.
  intros refused other. apply named in refused as (l & i & checked & -> & _ & [[here _]|(taus & here & before)]).
  { exfalso. unfold fault_of_taus in here. destruct (place_of _ _ _) as [q|]; [|discriminate].
    injection here as <-. exact (other q eq_refl). }
  exists l, i. split; [reflexivity|]. split; [apply checked|]. split; [intros k below; apply all_finite; now apply taus|].
  split; [exact before|]. unfold outcome_at, coordinate in here. fold (votes_at r i) in here.
  destruct (place_of overflowed 0 (column_at r i)) as [q|] eqn:found.
  - injection here as <-. apply place_some in found as (j & [v c] & -> & at_j & is & earlier).
    exists j, c. repeat split; [now destruct v|]. intros k less.
    destruct (nth_error (column_at r i) k) as [[[w|] c']|] eqn:at_k; [eauto| |].
    + discriminate (earlier k _ less at_k).
    + apply nth_error_None in at_k. assert (j < length (column_at r i))%nat by (apply nth_error_Some; congruence). lia.
  - pose proof (finite_column _ found) as somes.
    destruct (numerator (tau_m (how r) (votes_at r i))) as [t|] eqn:is.
    + assert (what = InResult) as ->;
        [|split; [exact somes|]; exists t; split; [reflexivity|now destruct (nth i _ _)]].
      unfold result, become in here. destruct (on_theta (how r)); [destruct (finite _); congruence|].
      unfold apply in here. destruct (_ || _); [discriminate|]. destruct (exact _); [|congruence].
      destruct (finite _); [discriminate|congruence].
    + injection here as <-. split; [exact somes|]. now apply numerator_none.
Qed.

(** * Examples *)

Lemma examples :
  reduce (small (TIES Trim.KeepAll 1 1 Model) [[0x4b800000]; [0x3f800000]; [0x3f800000]; [0xcb800000]; [0xbf800000]])
    = Merged [[0x4aaaaaac]] [1; 1; 1; 1; 1]
  /\ reduce (small (TIES Trim.KeepAll 2 5 Model)
       [[0xc0000000; 0; 0x3f800000; 0; 0xbf800000]; [0xbf800000; 0x3f800000; 0xc0000000; 0; 0xbf800000];
        [0x3f800000; 0xc0000000; 0x40000000; 0x3f800000; 0x40400000]])
    = Merged [[0xbfc00000; 0xc0000000; 0x3fc00000; 0; 0x40400000]] [3; 4; 3].
Proof. split; vm_compute; reflexivity. Qed.

Lemma counting_examples :
  let rows := [[0x40800000; 0x3f800000; 0x80000000]; [0; 0x40400000; 0x3727c5ac]] in
  reduce (small Linear rows) = Merged [[0x40000000; 0x40000000; 0x36a7c5ac]] [3; 3]
  /\ reduce (small NegMerge rows) = Merged [[0; 0xc0000000; 0]] [3; 3]
  /\ reduce (small RAM rows) = Merged [[0x40800000; 0x40000000; 0]] [3; 3].
Proof. repeat split; vm_compute; reflexivity. Qed.
