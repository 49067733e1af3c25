(** TIES as an operator on real numbers, all coefficients 1. *)

From Coq Require Import ZArith List Bool Lia Permutation QArith Lqa.
From MergeAlgebra.Definitions Require Import Ties.
From MergeAlgebra.Lemmas Require Import TiesSums TiesMean.
Import ListNotations.
Open Scope Z_scope.

Lemma common_grid_pos xs : 0 < common_grid xs.
Proof. induction xs as [|x xs IH]; cbn [common_grid fold_right] in *; [lia|]. fold (common_grid xs). lia. Qed.

Lemma common_grid_divides x xs : In x xs -> (Zpos (Qden x) | common_grid xs).
Proof.
  induction xs as [|y xs IH]; intros there; [contradiction|]. cbn [common_grid fold_right]. fold (common_grid xs).
  destruct there as [-> |there]; [now exists (common_grid xs); lia|]. apply Z.divide_mul_r. now apply IH.
Qed.

(** A number's vote is the number, with a coefficient of 1. *)
Lemma vote_on_ratio x grid : 0 < grid -> (Zpos (Qden x) | grid) -> (ratio (vote_on grid x) == x)%Q.
Proof.
  intros pos [k eq]. destruct x as [n d]. cbn [Qden] in eq.
  rewrite <- (disjoint_mean_one (vote_on grid (n # d))), disjoint_mean_one.
  transitivity (ratio (n, Zpos d)).
  - apply ratio_eq; cbn; [assumption|reflexivity|]. rewrite eq, Z.div_mul by lia. lia.
  - unfold ratio. cbn [fst snd]. now rewrite (Qmake_Qdiv n d).
Qed.

Lemma ties_permutation xs ys : Permutation xs ys -> ties xs = ties ys.
Proof.
  intros perm. unfold ties, disjoint_mean.
  assert (common_grid xs = common_grid ys) as ->.
  { clear - perm. unfold common_grid. induction perm; cbn [fold_right]; lia. }
  f_equal. apply ties_sums_permutation. now apply Permutation_map.
Qed.

Lemma ties_one x : (ties [x] == x)%Q.
Proof.
  unfold ties. cbn [map]. rewrite disjoint_mean_one.
  apply vote_on_ratio; [apply common_grid_pos|apply common_grid_divides; now left].
Qed.

Lemma mean_one x : mean [x] = ratio x.
Proof. destruct x. unfold mean, mean_sums, total_value, total_coefficient. cbn. now rewrite !Z.add_0_r. Qed.

(** Two votes against each other: the larger wins alone. *)
Lemma larger_wins a b : value b < 0 < value a + value b -> disjoint_mean [a; b] = ratio a.
Proof.
  intros signs. assert (elected : gamma [a; b] = 1).
  { unfold gamma. rewrite !total_value_cons. apply Z.sgn_pos. cbn. lia. }
  rewrite disjoint_mean_agreeing by lia. unfold agreeing. rewrite elected. unfold agrees. cbn [filter].
  rewrite (Z.sgn_pos (value a)), (Z.sgn_neg (value b)) by lia. apply mean_one.
Qed.

Lemma ties_larger_wins x y : (y < 0 -> 0 < x + y -> ties [x; y] == x)%Q.
Proof.
  intros minus plus. set (grid := common_grid [x; y]).
  assert (pos : 0 < grid) by apply common_grid_pos.
  destruct (common_grid_divides x [x; y]) as [k eq]; [now left|]. fold grid in eq.
  destruct (common_grid_divides y [x; y]) as [l eq']; [now right; left|]. fold grid in eq'.
  unfold ties. cbn [map]. fold grid. rewrite larger_wins.
  - apply vote_on_ratio; [assumption|]. now exists k.
  - destruct x as [n d], y as [n' d']. unfold Qlt, Qplus, vote_on in *. cbn in *.
    rewrite eq at 2. rewrite eq'. rewrite !Z.div_mul by lia.
    assert (k * Z.pos d = l * Z.pos d') by congruence.
    assert (0 < k) by nia. assert (0 < l) by nia. split; [nia|].
    assert (0 < (n * Z.pos d' + n' * Z.pos d) * k) by nia.
    assert ((n * Z.pos d' + n' * Z.pos d) * k = Z.pos d' * (n * k + n' * l)) by nia. nia.
Qed.

Lemma not_associative : (ties [ties [5; 1]; -4] == -4 /\ ties [5; ties [1; -4]] == 5 /\ ties [5; 1; -4] == 3)%Q.
Proof. now vm_compute. Qed.

Lemma not_continuous eps : (0 < eps -> ties [1; -1] == 0 /\ 1 < ties [1 + eps; -1])%Q.
Proof.
  intros pos. split; [now vm_compute|]. rewrite ties_larger_wins by lra. lra.
Qed.
